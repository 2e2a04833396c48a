"""A stage ends when its dvc does; Ctrl-C and errors of the machine are one line."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ztfrep.errors import InputError
from ztfrep.process import exiting_in_one_line

ROOT = Path(__file__).parents[1]
PYTHON = sys.executable

# A stage that writes the file `started`, and its output once the file `go` exists.
STAGE = """
import os, sys, time
sys.path.insert(0, {root!r})
from ztfrep import process
from ztfrep.data.files import replacing
if {slow_watch}:
    process._INTERVAL = 1000
with process.exiting_in_one_line():
    process.follow_dvc()
    with replacing("output.txt") as temporary:
        temporary.write_text("of the killed run")
        open("started", "w").write(str(os.getpid()))
        while not os.path.exists("go"):
            time.sleep(0.02)
open("ended", "w").close()
"""
# Starts a command as dvc does: by the user's shell, with the name of the stage in the environment.
DVC = """
import os, subprocess, sys
env = os.environ | {{"DVC_ROOT": os.getcwd(), "DVC_STAGE": "a_stage"}}
subprocess.Popen([{shell!r}, "-c", {command!r}], env=env).communicate()
"""


def wait_for(condition, seconds=10.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "timeout"
        time.sleep(0.02)


def runs(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def clean_environment():
    return {name: value for name, value in os.environ.items() if not name.startswith("DVC")}


def start(folder, *, dvc=True, command="{python} stage.py", shell="/bin/sh", slow_watch=False):
    """Start the stage below a fake dvc or by hand; return its parent and its id."""
    (folder / "stage.py").write_text(STAGE.format(root=str(ROOT), slow_watch=slow_watch))
    command = command.format(python=PYTHON)
    (folder / "dvc.py").write_text(DVC.format(shell=shell, command=command))
    arguments = [PYTHON, "dvc.py"] if dvc else [shell, "-c", f"{PYTHON} stage.py; true"]
    parent = subprocess.Popen(
        arguments, cwd=folder, env=clean_environment(), stderr=subprocess.PIPE, text=True
    )
    started = folder / "started"
    wait_for(lambda: started.exists() and started.read_text())
    return parent, int(started.read_text())


@pytest.fixture
def tree(tmp_path):
    """Start process trees, and end what is left of them."""
    processes = []

    def begin(**options):
        parent, pid = start(tmp_path, **options)
        processes.append((parent, pid))
        return parent, pid

    yield begin
    for parent, pid in processes:
        (tmp_path / "go").touch()
        parent.kill()
        parent.communicate()
        if runs(pid):
            os.kill(pid, signal.SIGKILL)


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="the test looks into /proc")
@pytest.mark.parametrize(
    "command",
    [
        # A shell that becomes its command.
        "exec {python} stage.py",
        # A shell that waits for it, and outlives dvc.
        "{python} stage.py; true",
        "sh -c '{python} stage.py; true'; true",
    ],
)
def test_a_stage_ends_with_its_dvc_and_publishes_nothing(tree, tmp_path, command):
    dvc, stage = tree(command=command)
    dvc.kill()
    wait_for(lambda: not runs(stage), 2.5)
    (tmp_path / "go").touch()
    assert not (tmp_path / "output.txt").exists()
    assert not (tmp_path / "ended").exists()


def test_a_stage_whose_dvc_was_just_killed_publishes_nothing(tree, tmp_path):
    # The watch has not yet noticed.
    dvc, stage = tree(command="{python} stage.py; true", slow_watch=True)
    dvc.kill()
    dvc.wait()
    (tmp_path / "go").touch()
    wait_for(lambda: not runs(stage))
    assert not (tmp_path / "output.txt").exists()
    assert not [path for path in tmp_path.iterdir() if path.name.endswith(".tmp")]
    assert "dvc that started this stage has ended" in dvc.stderr.read()


def test_a_stage_below_a_running_dvc_publishes(tree, tmp_path):
    dvc, _ = tree(command="{python} stage.py; true")
    time.sleep(1.2)
    (tmp_path / "go").touch()
    assert dvc.wait(10) == 0
    assert (tmp_path / "output.txt").read_text() == "of the killed run"


def test_a_stage_run_by_hand_outlives_its_shell(tree, tmp_path):
    shell, stage = tree(dvc=False)
    shell.kill()
    shell.wait()
    time.sleep(1.2)
    assert runs(stage)
    (tmp_path / "go").touch()
    wait_for(lambda: (tmp_path / "ended").exists())
    assert (tmp_path / "output.txt").exists()


def test_a_stage_that_starts_after_its_dvc_was_killed_does_nothing(tmp_path):
    (tmp_path / "stage.py").write_text(STAGE.format(root=str(ROOT), slow_watch=False))
    command = f"sleep 0.5; {PYTHON} stage.py; echo $? > status"
    (tmp_path / "dvc.py").write_text(DVC.format(shell="/bin/sh", command=command))
    # A session of its own, as that of a terminal is.
    dvc = subprocess.Popen(
        [PYTHON, "dvc.py"], cwd=tmp_path, env=clean_environment(), start_new_session=True,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    time.sleep(0.3)
    dvc.kill()
    assert "dvc that started this stage has ended" in dvc.communicate(timeout=15)[1]
    wait_for(lambda: (tmp_path / "status").exists() and (tmp_path / "status").read_text())
    assert (tmp_path / "status").read_text() == "1\n"
    assert not (tmp_path / "started").exists()


SLEEPER = """
import sys, time
sys.path.insert(0, {root!r})
{imports}
print("ready", flush=True)
{body}
"""


def interrupted(program, times=1):
    process = subprocess.Popen(
        [PYTHON, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=clean_environment(),
    )  # fmt: skip
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.2)
    for _ in range(times):
        process.send_signal(signal.SIGINT)
        time.sleep(0.2)
    return process.communicate(timeout=10)[1], process.returncode


def test_ctrl_c_is_one_line_and_status_130():
    program = SLEEPER.format(
        root=str(ROOT),
        imports="from ztfrep.process import exiting_in_one_line",
        body="with exiting_in_one_line(): time.sleep(30)",
    )
    assert interrupted(program) == ("interrupted; run the same command again to go on\n", 130)


def test_a_second_ctrl_c_ends_the_process_at_once():
    program = SLEEPER.format(
        root=str(ROOT),
        imports="from ztfrep.process import exiting_in_one_line",
        body="with exiting_in_one_line():\n  try: time.sleep(30)\n  finally: time.sleep(30)",
    )
    text, status = interrupted(program, times=2)
    assert text == "interrupted; run the same command again to go on\n"
    assert status == -signal.SIGINT


def test_ctrl_c_in_a_library_prints_no_traceback():
    program = SLEEPER.format(
        root=str(ROOT),
        imports="from ztfrep.process import exiting_in_one_line",
        body="with exiting_in_one_line():\n"
        "  try: time.sleep(30)\n  except BaseException: raise RuntimeError('query interrupted')",
    )
    assert interrupted(program) == ("interrupted; run the same command again to go on\n", 130)


def test_a_stage_is_interrupted_in_one_line_while_it_imports():
    # `python -m stages.NAME` imports the package, then the stage: here a slow one.
    program = f"""
import sys, time
sys.path.insert(0, {str(ROOT)!r})
sys.argv[0] = "-m"
import stages
print("ready", flush=True)
time.sleep(30)
"""
    assert interrupted(program) == ("interrupted; run the same command again to go on\n", 130)


def exit_code(error):
    with pytest.raises(SystemExit) as stop, exiting_in_one_line():
        raise error
    return stop.value.code


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (InputError("a", found="b", expected="c", remedy="d"), "error: a: found b; expected c; d"),
        (FileNotFoundError(2, "No such file", "data/x"), "error: data/x: No such file"),
        (
            OSError(28, "writing failed: No space left on device", "data/x"),
            "error: data/x: writing failed: No space left on device; make room on its disk, then "
            "run it again",
        ),
        (MemoryError("Unable to allocate\n7 TiB"), "error: not enough memory (Unable to allocate "
         "7 TiB); free some, or take less data"),
        (MemoryError(), "error: not enough memory; free some, or take less data"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"),
         "error: not enough memory (DefaultCPUAllocator: can't allocate memory: you tried to "
         "allocate 8 bytes); free some, or take less data"),
    ],
)  # fmt: skip
def test_errors_that_the_user_can_correct_are_one_line(error, text):
    assert exit_code(error) == text


def test_other_errors_are_raised():
    with pytest.raises(ZeroDivisionError), exiting_in_one_line():
        raise ZeroDivisionError
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
