"""Tasks of workers, in a module that workers import."""

import os
import time

from ztfrep.errors import InputError


def square(number):
    return number * number


def slow_square(log, number):
    """Append a line to a file, and return the square after a while."""
    with log.open("a") as file:
        file.write(f"{number}\n")
    time.sleep(0.2)
    return number * number


def add(shared, number):
    return shared.sum() + number


def fail(number):
    if number == 1:
        raise InputError("a file", found="a", expected="b", remedy="c")
    time.sleep(0.1)
    return number


def end(number):
    os._exit(9)
