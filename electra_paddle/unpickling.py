"""Pickles of strangers: a small interpreter that builds plain values and descriptions, and can do nothing else.

Python's own unpickler can be kept from calling functions, but not from allocating memory for a memo of any size, or
from following values that are nested so deeply that the C stack ends. This one has the operations that arrays and
tensors under names are written with, and refuses every other one.
"""

from __future__ import annotations

import itertools
import pickletools
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import IO, Any, cast

MOST_OPERATIONS = 5_000_000  # the largest published network needs some ten thousand
DEEPEST = 20  # values within values
CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
LITERALS = {
    "BININT", "BININT1", "BININT2", "LONG1", "LONG4", "INT", "LONG", "BINFLOAT", "FLOAT", "BINUNICODE", "UNICODE",
    "SHORT_BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8", "STRING",
    "BINSTRING", "SHORT_BINSTRING",
}  # fmt: skip
MARK = object()

Builders = Mapping[tuple[str, str], Callable[[], Any]]  # (module, name) -> makes what the name stands for


class UnpicklingError(ValueError):
    """What a pickle wants that is refused, or what is wrong with it."""


class Buildable:
    """What a name may make; `build` takes the state that the pickle gives it."""

    def build(self, state: Any) -> None:
        raise UnpicklingError("a state for something that has none")


class BoundedStream:
    """A file that never reads beyond its end, however many bytes are asked for."""

    def __init__(self, stream: IO[bytes], size: int) -> None:
        self.stream, self.size = stream, size

    def read(self, count: int) -> bytes:
        return self.stream.read(min(count, max(0, self.size - self.stream.tell())))

    def readline(self) -> bytes:
        return self.stream.readline(1000)

    def tell(self) -> int:
        return self.stream.tell()


def unpickle(stream: BoundedStream, builders: Builders, find_stored: Callable[[Any], Any] | None = None) -> Any:
    """The value of the pickle at which a stream stands; it is left behind the pickle.

    Args:
        builders: the names that may occur. What a builder makes is a function, called with the pickle's arguments, or
            any other value.
        find_stored: function from a persistent id to what it stands for.

    Raises:
        UnpicklingError: the pickle is damaged, or wants anything else.
    """
    machine = Machine(builders, find_stored)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of escapes in damaged texts
            # Its type says IO, of which it needs these three methods.
            operations = pickletools.genops(cast(Any, stream))
            for operation, argument, _ in itertools.islice(operations, MOST_OPERATIONS):
                if operation.name == "STOP":
                    return machine.pop()
                machine.do(operation.name, argument)
    except (IndexError, KeyError, ValueError, TypeError, OverflowError, StopIteration) as error:
        if isinstance(error, UnpicklingError):
            raise
        raise UnpicklingError(f"a damaged pickle ({type(error).__name__}: {error})") from error
    raise UnpicklingError("a pickle without end")


class Machine:
    """The stack and the memo of a pickle in work. Each value is kept with its depth."""

    def __init__(self, builders: Builders, find_stored: Callable[[Any], Any] | None) -> None:
        self.builders, self.find_stored = builders, find_stored
        self.stack: list[tuple[Any, int]] = []
        self.memo: dict[int, tuple[Any, int]] = {}

    def push(self, value: Any, depth: int = 0) -> None:
        if depth > DEEPEST:
            raise UnpicklingError("values that are nested too deeply")
        self.stack.append((value, depth))

    def pop(self) -> Any:
        value, _ = self.stack.pop()
        if value is MARK:
            raise UnpicklingError("a damaged pickle (a mark for a value)")
        return value

    def pop_to_mark(self) -> list[tuple[Any, int]]:
        """The values above the last mark, which goes too."""
        place = next(number for number in range(len(self.stack) - 1, -1, -1) if self.stack[number][0] is MARK)
        values = self.stack[place + 1 :]
        del self.stack[place:]
        return values

    def do(self, name: str, argument: Any) -> None:
        """One operation."""
        if name in LITERALS:
            self.push(argument)
        elif name in CONSTANTS:
            self.push(CONSTANTS[name])
        elif name in ("PROTO", "FRAME"):
            pass
        elif name == "MARK":
            self.stack.append((MARK, 0))
        elif name in ("BINPUT", "LONG_BINPUT", "PUT"):
            self.memo[argument] = self.stack[-1]
        elif name == "MEMOIZE":
            self.memo[len(self.memo)] = self.stack[-1]
        elif name in ("BINGET", "LONG_BINGET", "GET"):
            self.stack.append(self.memo[argument])
        elif name in ("EMPTY_DICT", "EMPTY_LIST", "EMPTY_TUPLE"):
            self.push({"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple}[name]())
        elif name in ("TUPLE1", "TUPLE2", "TUPLE3", "TUPLE"):
            values = self.pop_to_mark() if name == "TUPLE" else [self.stack.pop() for _ in range(int(name[-1]))][::-1]
            self.push(tuple(value for value, _ in values), 1 + max((depth for _, depth in values), default=0))
        elif name == "DICT":
            values = self.pop_to_mark()
            self.push({})
            self.set_items(values)
        elif name == "LIST":
            values = self.pop_to_mark()
            self.push([])
            self.extend(values)
        elif name in ("SETITEM", "SETITEMS"):
            values = self.pop_to_mark() if name == "SETITEMS" else [self.stack.pop() for _ in range(2)][::-1]
            self.set_items(values)
        elif name in ("APPEND", "APPENDS"):
            values = self.pop_to_mark() if name == "APPENDS" else [self.stack.pop()]
            self.extend(values)
        elif name in ("GLOBAL", "STACK_GLOBAL"):
            self.push(self.find(*(argument.split(" ", 1) if name == "GLOBAL" else [self.pop(), self.pop()][::-1])))
        elif name in ("REDUCE", "NEWOBJ"):
            self.call()
        elif name == "BUILD":
            state = self.pop()
            target = self.stack[-1][0]
            if isinstance(target, dict):  # attributes of an OrderedDict, such as PyTorch's `_metadata`
                return
            if not isinstance(target, Buildable):
                raise UnpicklingError("a state for something that has none")
            target.build(state)
        elif name == "BINPERSID" and self.find_stored:
            self.push(self.find_stored(self.pop()))
        else:
            raise UnpicklingError(f"the operation {name}, which arrays under names do not need")

    def set_items(self, values: list[tuple[Any, int]]) -> None:
        target, depth = self.stack[-1]
        if not isinstance(target, dict) or len(values) % 2:
            raise UnpicklingError("entries for something that is no dictionary")
        for (key, _), (value, _) in pairs(values):
            if not isinstance(key, str | int):
                raise UnpicklingError(f"a key of type {type(key).__name__}")
            target[key] = value
        self.stack[-1] = target, max(depth, 1 + max((depth for _, depth in values), default=0))
        self.check_depth()

    def extend(self, values: list[tuple[Any, int]]) -> None:
        target, depth = self.stack[-1]
        if not isinstance(target, list):
            raise UnpicklingError("elements for something that is no list")
        target.extend(value for value, _ in values)
        self.stack[-1] = target, max(depth, 1 + max((depth for _, depth in values), default=0))
        self.check_depth()

    def check_depth(self) -> None:
        if self.stack[-1][1] > DEEPEST:
            raise UnpicklingError("values that are nested too deeply")

    def find(self, module: str, name: str) -> Any:
        if (module, name) not in self.builders:
            raise UnpicklingError(f"it wants to run {module}.{name}, which is refused")
        return self.builders[module, name]()

    def call(self) -> None:
        arguments, depth = self.stack.pop()
        function = self.pop()
        if not callable(function) or not isinstance(arguments, tuple):
            raise UnpicklingError("a call of something that is no function")
        self.push(function(*arguments), depth)


def pairs(values: list[Any]) -> Iterator[tuple[Any, Any]]:
    return zip(values[::2], values[1::2], strict=True)
