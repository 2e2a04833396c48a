"""The opcodes of pickle: those that the standard unpickler carries out, and their costs."""

import pickle

CODES: dict[str, int] = {
    name: getattr(pickle, name)[0]
    for name in pickle.__all__
    if name.isupper() and isinstance(getattr(pickle, name), bytes)
}

# Opcodes that the standard unpickler may carry out, by pickletools' names.
UNCHANGED = [
    "PROTO",
    "STOP",
    "POP",
    "POP_MARK",
    "DUP",
    "INT",
    "LONG",
    "LONG1",
    "FLOAT",
    "SHORT_BINBYTES",
    "SHORT_BINUNICODE",
    "TUPLE",
    "EMPTY_TUPLE",
    "TUPLE1",
    "TUPLE2",
    "TUPLE3",
    "LIST",
    "EMPTY_LIST",
    "EMPTY_DICT",
    "APPEND",
    "APPENDS",
    "GET",
    "BINPUT",
    "LONG_BINGET",
    "LONG_BINPUT",
    "MEMOIZE",
    "GLOBAL",
    "STACK_GLOBAL",
]
# Opcodes of Python 2, which Python 3 does not write.
PYTHON_2 = ("STRING", "BINSTRING", "SHORT_BINSTRING")

# Costs of an opcode in bytes of the allowance: about the memory that it takes, and more for opcodes
# that are slow or seldom written for arrays.
VALUE_COST = 48
_COSTS_BY_NAME = {
    "TUPLE1 TUPLE2 TUPLE3 BINPUT LONG_BINPUT MEMOIZE SHORT_BINBYTES": 128,
    "SHORT_BINUNICODE BINUNICODE BINUNICODE8 BINBYTES BINBYTES8 BYTEARRAY8 LONG1 LONG4": 256,
    "MARK TUPLE LIST DICT EMPTY_LIST EMPTY_DICT": 192,
    "GLOBAL STACK_GLOBAL REDUCE SETITEM SETITEMS": 512,
    "BUILD": 2048,
    "INT LONG FLOAT GET PUT UNICODE": 512,
    "PROTO FRAME POP POP_MARK DUP": 4096,
}

# By byte; bytes that are no opcode have a cost too.
COSTS = [VALUE_COST] * 256
for _names, _cost in _COSTS_BY_NAME.items():
    for _name in _names.split():
        COSTS[CODES[_name]] = _cost
