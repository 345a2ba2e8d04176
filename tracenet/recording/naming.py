"""What values are called: the names that the code gives them, and keys that are theirs alone.

A value is called after the argument, key or attribute that it came in by, or the variable that it
was assigned to. Where the same function runs several times its variables are numbered with it: the
`z` of `layer 2` is z2. `_prev` is the layer before: `dA_prev` of layer 2 is dA1.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from ..records import UPDATE, Value
from . import source
from .phases import up_to


class Names:
    """Gives the values of one trace their names."""

    def __init__(self, builder: Any, outputs: dict[int, str]) -> None:
        self.b = builder
        self.outputs = outputs
        self.keys: dict[str, int] = {}
        self.last: dict[str, int] = {}  # the number that the latest key of a name ended in
        self.found: dict[int, str] = {}
        leaves = builder.tape.leaves.values()
        self.parameters = {leaf.name for leaf in leaves if leaf.role == "parameter"}
        self._readers: dict[int, int] | None = None
        self._elements: set[int] | None = None
        self.shared = self._shared()

    def _shared(self) -> Counter[str]:
        """How many blocks give each name: `z` in two layers is z1 and z2."""
        seen = {
            (name, self._ordinal_block(id))
            for id in (*self.b.made, *self._owned())
            if (name := self._given(id)) is not None
        }
        return Counter(name for name, _ in seen)

    def _owned(self) -> dict[int, int]:
        """The arrays of layer objects: by value, the numbered block that reads it first.

        Only those whose names are also those of others: the W of each of two layers.
        """
        if self._readers is None:
            first: dict[int, int] = {}
            names: Counter[str] = Counter()
            leaves = self.b.tape.leaves
            for op in self.b.tables.ops:
                for id in op.ins:
                    if id in leaves and id not in first and leaves[id].name and leaves[id].owned:
                        first[id] = op.block
                        names[leaves[id].name] += 1
            blocks = {id: self._numbered_block(block) for id, block in first.items()}
            self._readers = {
                id: block
                for id, block in blocks.items()
                if block is not None and names[leaves[id].name] > 1
            }
        return self._readers

    def _given(self, id: int) -> str | None:
        if id not in self.found:
            self.found[id] = self._look(id) or ""
        return self.found[id] or None

    def _look(self, id: int) -> str | None:
        leaf = self.b.tape.leaves.get(id)
        if leaf is not None:
            if leaf.name is None and leaf.call >= 0:
                return self._put(id, source.given_name(self.b.tape, leaf.call, leaf.lasti))
            return leaf.name
        maker = self.b.made.get(id)
        if maker is None or id in self.b.tape.unnamed:
            return None
        op = self.b.tables.ops[maker]
        if op.phase == UPDATE and op.rule == "subtract":
            return self._given(op.ins[0])
        if (id in self.b.of and op.of is not None) or not op.file:
            return None
        k = self._tape_place(maker)
        if k is None:
            return None
        _, _, ins, _, call, lasti = self.b.tape.ops[k]
        name = source.given_name(self.b.tape, call, lasti)
        if op.rule in ("write", "add_at") and (name is None or name.endswith(source.ITEM)):
            return self._given(ins[0])  # a new version of the same variable
        if name is None and op.rule in ("subtract", "add") and source.renews(op.statement):
            old = self._given(ins[0])
            return old if old in self.parameters else None
        return self._put(id, name)

    def _put(self, id: int, name: str | None) -> str | None:
        """The name of what is put into a container: that of the container, unless it is an array."""
        if name is None or not name.endswith(source.ITEM):
            return name
        return None if id in self._written() else name.removesuffix(source.ITEM)

    def _written(self) -> set[int]:
        """The values that were written into an array, of which they are an element, not a name."""
        if self._elements is None:
            ops = self.b.tape.ops
            self._elements = {op[2][1] for op in ops if op[0].name in ("write", "add_at")}
        return self._elements

    def _tape_place(self, op: int) -> int | None:
        if not hasattr(self, "_places"):
            self._places = {op: k for k, op in self.b.op_of.items()}
        return self._places.get(op)

    def _ordinal_block(self, id: int) -> int | None:
        maker = self.b.made.get(id)
        if maker is None:
            return self._owned().get(id)
        return self._numbered_block(self.b.tables.ops[maker].block)

    def _numbered_block(self, block: int) -> int | None:
        blocks = self.b.tables.blocks
        for around in up_to(blocks, block, None):
            if blocks[around].ordinal:
                return around
        return None

    def value(self, id: int) -> Value:
        b = self.b
        data = b.tape.values[id]
        of = b.of.get(id)
        name = self._name(id, of)
        dtype = str(data.dtype) if hasattr(data, "dtype") else type(data).__name__
        shape = np.shape(data)
        key = self._key(name or self._plain(id), id, of)
        return Value(id, name, key, self._role(id, of), shape, dtype, b.made.get(id), of)

    def _name(self, id: int, of: int | None) -> str:
        maker = self.b.made.get(id)
        if maker is not None:
            op = self.b.tables.ops[maker]
            if op.phase == UPDATE and op.rule in ("subtract", "add") and self._given(id):
                old = [i for i in op.ins if self._given(i) == self._given(id)]
                if old and self.b.of.get(old[0]) is None:
                    return self._name(old[0], None)
        given = self._given(id)
        if given is not None:
            block = self._ordinal_block(id)
            if block is not None and self.shared[given] > 1:
                ordinal = self.b.tables.blocks[block].ordinal
                return _numbered(given, ordinal)
            return given
        if of is not None:
            base = self._name(of, self.b.of.get(of))
            return f"d{base}" if base else ""
        if self.outputs.get(id):
            return self.outputs[id] if self.outputs[id].isidentifier() else ""
        return ""

    def _plain(self, id: int) -> str:
        maker = self.b.made.get(id)
        if maker is None:
            return f"constant_{id}"
        return f"{self.b.tables.ops[maker].rule}_{id}"

    def _key(self, name: str, id: int, of: int | None) -> str:
        key, n = name, self.last.get(name, 1)
        while key in self.keys:
            n += 1
            key = f"{name}:{n}"
        self.keys[key], self.last[name] = id, n
        return key

    def _role(self, id: int, of: int | None) -> str:
        leaf = self.b.tape.leaves.get(id)
        if leaf is not None:
            return leaf.role
        if of is not None:
            return "gradient"
        if id in self.outputs:
            return "output"
        return "intermediate" if id in self.b.made else "constant"


def _numbered(given: str, ordinal: int) -> str:
    """A layer's own value: z in layer 2 is z2, dA_prev is dA1."""
    if given.endswith("_prev") and ordinal:
        return f"{given[:-5]}{ordinal - 1}"
    return f"{given}{ordinal}" if not given[-1:].isdigit() else f"{given}_{ordinal}"
