# Two commands: `make repro` runs the pipeline on the embedded sample, `make test` the tests.
PYTHON ?= python3
# DVC starts the stages with the first "python" on PATH.
export PATH := $(CURDIR)/.venv/bin:$(PATH)
INSTALLED := .venv/installed

.PHONY: repro test web release release-objects benchmarks clean

repro: $(INSTALLED)
# Before DVC, which expands the aliases of a hostile params.yaml. Its first stage checks the tables of
# the networks too, for which torch is imported.
	@python -c "from stages import run; run(lambda params: None, networks=False)"
	dvc repro
	@ztfrep summary
	@echo
	@echo "These are smoke figures of a small simulated sample. The pictures are in:"
	@echo "  $(CURDIR)/data/figures/stamps  $(CURDIR)/data/figures/series"
	@echo "All of it is in one page, for a browser:"
	@echo "  $(CURDIR)/data/report.html"

# Two processes, each with whole files of tests, whose fixtures are shared. Threads that wait do not
# take the cores of those that compute.
test: export OMP_WAIT_POLICY = PASSIVE
test: $(INSTALLED)
	ruff check .
	ruff format --check .
	mypy
	pytest -n 2 --dist loadfile

# The page of the map, from its sources: Node.js 20 or later. What it writes is committed.
web:
	cd ztfrep/explorer/web && npm ci --ignore-scripts --no-audit --no-fund && node build.mjs

# The encoder that the package ships: an hour or two on two cores. The recurrent network is trained on
# source=survey, which has times and magnitudes, with the vectors of the autoencoder that was released
# before. STAMPS and SERIES are tables of real alerts for the figures of the model card; see
# benchmarks/released_encoder.py.
SCALE ?= 1.0
RELEASED := $(CURDIR)/ztfrep/released/autoencoder/weights.safetensors
release: $(INSTALLED)
	dvc exp run --name release-alerts --set-param source=sample \
		--set-param sources.sample.scale=$(SCALE) --set-param autoencoder.invariant.epochs=14
	python -m benchmarks.release autoencoder
	$(MAKE) release-objects

release-objects: $(INSTALLED)
	dvc exp run --name release-objects --set-param source=survey \
		--set-param sources.survey.scale=$(SCALE) --set-param 'autoencoder.weights="$(RELEASED)"' \
		--set-param autoencoder.invariant.epochs=0
	python -m benchmarks.release recurrent $(if $(STAMPS),--stamps $(STAMPS) --series $(SERIES))

# The speed of everything; results are in benchmarks/results. An hour and more on two cores, which have
# nothing else to do, and 20 GB. FOLDER gets the inputs; ARCHIVES is a folder of archives of packets.
FOLDER ?= $(CURDIR)/.cache/benchmarks
ARCHIVES ?= $(FOLDER)/packets
benchmarks: repro
	test -e $(FOLDER)/pickles || ztfrep sample $(FOLDER)/pickles --scale 1.0
	test -e $(ARCHIVES) || ztfrep sample $(ARCHIVES) --packets --scale 0.1
	python -m benchmarks.starts
	python -m benchmarks.training
	python -m benchmarks.onnx_encoding data/models
	python -m benchmarks.convert $(FOLDER)/pickles
	python -m benchmarks.survey --scale 1.0 --folder $(FOLDER)
	python -m benchmarks.packets $(ARCHIVES)
	python -m benchmarks.encode_packets $(ARCHIVES)
	python -m benchmarks.cluster $(ARCHIVES)
	python -m benchmarks.survey_years
	python -m benchmarks.time_to_accuracy
	python -m benchmarks.growth $(FOLDER)
	if test -e /usr/bin/chromium; then python -m benchmarks.explorer $(FOLDER); fi
	if nvidia-smi --list-gpus; then python -m benchmarks.gpu --pipeline; fi

$(INSTALLED): requirements.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "error: Python 3.11 or later is needed; run: make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv
	pip install --quiet --requirement requirements.txt
	pip install --quiet --no-deps --editable .
	touch $@

clean:
	rm -rf .venv .cache
