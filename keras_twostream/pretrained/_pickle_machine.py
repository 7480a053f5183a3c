"""A pickle machine that cannot run anything.

Python's own unpickler looks up any name that a file states and calls it. This
one knows plain values, containers, and the calls it is given a rule for; any
other name is an error. It remembers by number in a dict, so a large number in
a small file takes no memory.
"""

import codecs
import pickletools
from collections.abc import Callable, Mapping
from typing import IO, Any, NamedTuple, Protocol, cast

from keras_twostream.errors import SpecError

Name = tuple[str, str]
# What a call of a name gives; a name that is only ever handed on has None.
Rules = Mapping[Name, Callable[..., Any] | None]

_NEWEST = 5
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_VALUES = frozenset(
    "INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT BINFLOAT STRING "
    "BINSTRING SHORT_BINSTRING UNICODE BINUNICODE SHORT_BINUNICODE "
    "BINUNICODE8 BINBYTES SHORT_BINBYTES BINBYTES8 BYTEARRAY8".split()
)
_TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_REMEMBERING = ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE")
_RECALLING = ("GET", "BINGET", "LONG_BINGET")
_OPERATIONS = {operation.code: operation for operation in pickletools.opcodes}
_MARK = object()


class Readable(Protocol):
    """The interface of files and memory maps that pickles are read from."""

    def read(self, n: int, /) -> bytes: ...

    def readline(self) -> bytes: ...


class Symbol(NamedTuple):
    """A name in a pickle; nothing is imported for it."""

    module: str
    name: str


class Unfinished:
    """A value that is incomplete until its state is read.

    Attributes:
        build: Function from the state to the value.
        places: Numbers under which the machine remembers it.
    """

    def __init__(self, build: Callable[[Any], Any]) -> None:
        self.build = build
        self.places: list[int] = []


class Machine:
    """A machine that reads one pickle after another from a file.

    Args:
        file: Binary file; reading beyond its end gives fewer bytes.
        rules: Meaning of each name that a pickle may state.
        persistent: Function from the id of an outside value to the value.
    """

    def __init__(
        self,
        file: Readable,
        rules: Rules,
        persistent: Callable[[Any], Any] | None = None,
    ) -> None:
        self._file = file
        self._rules = rules
        self._persistent = persistent

    def load(self) -> Any:
        """Read one pickle.

        Raises:
            SpecError: If it states a name that has no rule, or an operation
                that no plain data needs.
            Exception: Any kind of error, if the pickle is broken.
        """
        self._stack: list[Any] = []
        self._memory: dict[int, Any] = {}
        while True:
            name, argument = self._operation()
            if name == "STOP":
                return self._pop()
            self._run(name, argument)

    def _operation(self) -> tuple[str, Any]:
        code = self._file.read(1).decode("latin-1")
        operation = _OPERATIONS.get(code)
        if operation is None:
            raise SpecError(f"The pickle breaks off or has a code {code!r}.")
        if operation.name == "STRING":
            return operation.name, _old_string(self._file.readline())
        if operation.arg is None:
            return operation.name, None
        # The readers call nothing but what `Readable` has.
        file = cast(IO[bytes], self._file)
        return operation.name, operation.arg.reader(file)

    def _run(self, name: str, argument: Any) -> None:
        if name in _CONSTANTS:
            self._stack.append(_CONSTANTS[name])
        elif name in _VALUES:
            self._stack.append(argument)
        elif name in _TUPLES:
            self._stack.append(tuple(self._take(_TUPLES[name])))
        elif name in _REMEMBERING:
            self._remember(argument)
        elif name in _RECALLING:
            self._stack.append(self._memory[argument])
        else:
            operation = getattr(self, f"_do_{name.lower()}", None)
            if operation is None:
                raise SpecError(f"Plain data needs no {name} in a pickle.")
            operation(*(() if argument is None else (argument,)))

    # === The stack and the memory ===

    def _pop(self) -> Any:
        value = self._stack.pop()
        if isinstance(value, Unfinished) or value is _MARK:
            raise SpecError("A value in the pickle is not complete.")
        return value

    def _take(self, count: int) -> list[Any]:
        """Remove and return the last values, in their order."""
        return [self._pop() for _ in range(count)][::-1]

    def _take_marked(self) -> list[Any]:
        """Remove the last mark, and return the values above it."""
        values = []
        while self._stack[-1] is not _MARK:
            values.append(self._pop())
        self._stack.pop()
        return values[::-1]

    def _remember(self, place: int | None) -> None:
        place = len(self._memory) if place is None else place
        value = self._stack[-1]
        if isinstance(value, Unfinished):
            value.places.append(place)
        self._memory[place] = value

    # === Operations, by their names in `pickletools` ===

    def _do_proto(self, version: int) -> None:
        if version > _NEWEST:
            raise SpecError(f"Pickles of protocol {version} are unknown.")

    def _do_frame(self, length: int) -> None:
        """Ignore a frame, which is only a hint for buffering readers."""

    def _do_mark(self) -> None:
        self._stack.append(_MARK)

    def _do_pop(self) -> None:
        self._stack.pop()

    def _do_pop_mark(self) -> None:
        self._take_marked()

    def _do_tuple(self) -> None:
        self._stack.append(tuple(self._take_marked()))

    def _do_list(self) -> None:
        self._stack.append(self._take_marked())

    def _do_dict(self) -> None:
        self._stack.append(_pairs(self._take_marked()))

    def _do_empty_list(self) -> None:
        self._stack.append([])

    def _do_empty_dict(self) -> None:
        self._stack.append({})

    def _do_empty_set(self) -> None:
        self._stack.append(set())

    def _do_frozenset(self) -> None:
        self._stack.append(frozenset(self._take_marked()))

    def _do_append(self) -> None:
        value = self._pop()
        self._top(list).append(value)

    def _do_appends(self) -> None:
        values = self._take_marked()
        self._top(list).extend(values)

    def _do_additems(self) -> None:
        values = self._take_marked()
        self._top(set).update(values)

    def _do_setitem(self) -> None:
        pair = self._take(2)
        self._top(dict).update(_pairs(pair))

    def _do_setitems(self) -> None:
        values = self._take_marked()
        self._top(dict).update(_pairs(values))

    def _top(self, kind: type) -> Any:
        if type(self._stack[-1]) is not kind:
            raise SpecError(f"The pickle fills something that is no {kind}.")
        return self._stack[-1]

    def _do_global(self, both: str) -> None:
        module, _, name = both.partition(" ")
        self._stack.append(self._symbol(module, name))

    def _do_stack_global(self) -> None:
        self._stack.append(self._symbol(*self._take(2)))

    def _symbol(self, module: str, name: str) -> Symbol:
        if (module, name) not in self._rules:
            raise SpecError(
                f"The file asks for {module}.{name}, which plain data does "
                "not need; it was not run. Only arrays, tensors, numbers, "
                "text and containers of them are read."
            )
        return Symbol(module, name)

    def _do_reduce(self) -> None:
        symbol, arguments = self._take(2)
        rule = self._rules[symbol] if isinstance(symbol, Symbol) else None
        if rule is None:
            raise SpecError(f"The pickle calls {symbol!r}, which is no call.")
        self._stack.append(rule(*arguments))

    _do_newobj = _do_reduce

    def _do_build(self) -> None:
        state = self._pop()
        value = self._stack.pop()
        if not isinstance(value, Unfinished):
            # An OrderedDict's attributes, say: no part of the data.
            self._stack.append(value)
            return
        built = value.build(state)
        self._memory.update(dict.fromkeys(value.places, built))
        self._stack.append(built)

    def _do_binpersid(self) -> None:
        key = self._pop()
        if self._persistent is None:
            raise SpecError(f"The pickle refers to {key!r} outside it.")
        self._stack.append(self._persistent(key))


def _pairs(values: list[Any]) -> dict[Any, Any]:
    return dict(zip(values[::2], values[1::2], strict=True))


def _old_string(line: bytes) -> str:
    """Return a string of protocol 0, which Python 2 wrote with escapes."""
    text = line.rstrip(b"\r\n")
    if len(text) < 2 or text[:1] != text[-1:] or text[:1] not in b"'\"":
        raise SpecError("A text in the pickle lacks its quotes.")
    return codecs.escape_decode(text[1:-1])[0].decode("latin-1")
