"""Finds iteration over sets, whose order differs between runs. One rule: guess only from what the text says.

An expression counts as a set if it is written as one (literal, comprehension, ``set()``, set algebra), if the
name or attribute was annotated or last assigned as one, or if the function called says so in its signature.
Order-free uses (``sorted``, ``len``, ``any``, ``in``, building another set) are fine.
"""

import ast
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["set", "mapping", "other"]  # mapping: of anything to sets
Place: TypeAlias = tuple[int, str]

_SET_TYPES = {"set", "frozenset", "Set", "AbstractSet", "MutableSet", "FrozenSet"}
_MAP_TYPES = {"dict", "defaultdict", "Mapping", "MutableMapping", "OrderedDict", "Dict"}
_ALGEBRA = (ast.BitOr, ast.BitAnd, ast.Sub, ast.BitXor)
_SET_METHODS = {"union", "intersection", "difference", "symmetric_difference", "copy"}
_ORDERED = {
    "list",
    "tuple",
    "iter",
    "enumerate",
    "map",
    "filter",
    "zip",
    "deque",
    "array",
    "bytes",
    "reversed",
}
_ORDER_FREE = {"sorted", "len", "any", "all", "sum", "min", "max", "set", "frozenset", "Counter"}


def _tail(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def annotated(node: ast.expr | None) -> Kind:
    """What an annotation says; unions count if one side is a set."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return annotated(ast.parse(node.value, mode="eval").body)
    if isinstance(node, ast.BinOp):
        left, right = annotated(node.left), annotated(node.right)
        return left if left != "other" else right
    if isinstance(node, ast.Subscript):
        if _tail(node.value) in _MAP_TYPES and isinstance(node.slice, ast.Tuple):
            return "mapping" if annotated(node.slice.elts[-1]) == "set" else "other"
        if _tail(node.value) in {"Final", "ClassVar", "Annotated", "Optional"}:
            return annotated(node.slice.elts[0] if isinstance(node.slice, ast.Tuple) else node.slice)
        return annotated(node.value)
    return "set" if node is not None and _tail(node) in _SET_TYPES else "other"


@dataclass
class Declared:
    """What classes and functions of the product say about their attributes and results, by bare name."""

    kinds: dict[str, list[Kind]] = field(default_factory=dict[str, list[Kind]])

    def read(self, tree: ast.Module) -> None:
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                decorators = {_tail(decorator) for decorator in node.decorator_list}
                name = node.name if decorators & {"property", "cached_property"} else node.name + "()"
                self._say(name, annotated(node.returns))
            elif isinstance(node, ast.ClassDef):
                for child in node.body:
                    if isinstance(child, ast.AnnAssign) and isinstance(child.target, ast.Name):
                        self._say(child.target.id, annotated(child.annotation))
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Attribute):
                self._say(node.target.attr, annotated(node.annotation))
            elif isinstance(node, ast.Assign):
                for target in node.targets:
                    if isinstance(target, ast.Attribute) and _written(node.value):
                        self._say(target.attr, "set")

    def _say(self, name: str, kind: Kind) -> None:
        self.kinds.setdefault(name, []).append(kind)

    def kind(self, name: str) -> Kind:
        """The kind on which all declarations of this name agree."""
        said = self.kinds.get(name, [])
        return said[0] if said and all(kind == said[0] for kind in said) else "other"


def _written(node: ast.expr) -> bool:
    if isinstance(node, ast.Set | ast.SetComp):
        return True
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in {"set", "frozenset"}
    )


class SetOrder(ast.NodeVisitor):
    """Walks a module in order of its text and collects places where the order of a set would matter."""

    def __init__(self, declared: Declared) -> None:
        self.places: list[Place] = []
        self._declared = declared
        self._scopes: list[dict[str, Kind]] = [{}]
        self._order_free: list[ast.expr] = []

    def kind(self, node: ast.expr | None) -> Kind:
        match node:
            case ast.Name():
                known: list[Kind] = [scope[node.id] for scope in self._scopes if node.id in scope]
                return known[-1] if known else "other"
            case ast.Attribute():
                return self._declared.kind(node.attr)
            case ast.BinOp(left=left, op=op, right=right) if isinstance(op, _ALGEBRA):
                return "set" if self._setlike(left) or self._setlike(right) else "other"
            case ast.IfExp(body=body, orelse=orelse):
                return "set" if "set" in {self.kind(body), self.kind(orelse)} else "other"
            case ast.BoolOp(values=values):
                return "set" if any(self.kind(value) == "set" for value in values) else "other"
            case ast.NamedExpr(value=value) | ast.Await(value=value):
                return self.kind(value)
            case ast.Subscript(value=value):
                return "set" if self.kind(value) == "mapping" else "other"
            case ast.Call():
                return self._result(node)
            case _:
                return "set" if node is not None and _written(node) else "other"

    def _result(self, node: ast.Call) -> Kind:
        if _written(node):
            return "set"
        if isinstance(node.func, ast.Attribute):
            inner = self.kind(node.func.value)
            if inner == "set" and node.func.attr in _SET_METHODS:
                return "set"
            if inner == "mapping":
                return "set" if node.func.attr in {"get", "pop", "setdefault"} else "other"
        name = _tail(node.func)
        return self._declared.kind(name + "()") if name else "other"

    def _setlike(self, node: ast.expr) -> bool:
        """A set, or a view of a mapping's keys, of which algebra makes a set."""
        view = (
            isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "keys"
        )
        return view or self.kind(node) == "set"

    def _check(self, node: ast.expr, use: str) -> None:
        if self.kind(node) == "set":
            self.places.append(
                (node.lineno, f"{use} a set, whose order differs between runs: use sorted() or a dict")
            )

    def _bind(self, target: ast.expr, kind: Kind) -> None:
        if isinstance(target, ast.Name):
            self._scopes[-1][target.id] = kind
        elif isinstance(target, ast.Tuple | ast.List):
            for element in target.elts:
                self._bind(element, "other")

    def _bind_loop(self, target: ast.expr, source: ast.expr) -> None:
        self._bind(target, "other")
        if isinstance(source, ast.Call) and isinstance(source.func, ast.Attribute):
            if self.kind(source.func.value) == "mapping" and source.func.attr == "values":
                self._bind(target, "set")
            values = target.elts[1:] if isinstance(target, ast.Tuple) and source.func.attr == "items" else []
            for element in values if self.kind(source.func.value) == "mapping" else []:
                self._bind(element, "set")

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        for expression in (*node.decorator_list, *node.args.defaults):
            self.visit(expression)
        given = (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)
        self._scopes.append({argument.arg: annotated(argument.annotation) for argument in given})
        for statement in node.body:
            self.visit(statement)
        self._scopes.pop()

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:  # the name that ast wants
        self._function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:  # the name that ast wants
        self._function(node)

    def visit_Assign(self, node: ast.Assign) -> None:  # the name that ast wants
        self.visit(node.value)
        for target in node.targets:
            if isinstance(target, ast.Tuple | ast.List) and len(target.elts) > 1:
                self._check(node.value, "unpacks")
            self._bind(target, self.kind(node.value))
            self.visit(target)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:  # the name that ast wants
        if node.value is not None:
            self.visit(node.value)
        self._bind(node.target, annotated(node.annotation))

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:  # the name that ast wants
        self.visit(node.value)
        self._bind(node.target, self.kind(node.value))

    def visit_For(self, node: ast.For) -> None:  # the name that ast wants
        self._check(node.iter, "loops over")
        self.visit(node.iter)
        self._bind_loop(node.target, node.iter)
        for statement in (*node.body, *node.orelse):
            self.visit(statement)

    def _comprehension(self, node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp) -> None:
        free = isinstance(node, ast.SetComp) or any(node is other for other in self._order_free)
        self._scopes.append({})
        for generator in node.generators:
            if not free:
                self._check(generator.iter, "loops over")
            self._bind_loop(generator.target, generator.iter)
        self.generic_visit(node)
        self._scopes.pop()

    def visit_ListComp(self, node: ast.ListComp) -> None:
        self._comprehension(node)

    def visit_SetComp(self, node: ast.SetComp) -> None:
        self._comprehension(node)

    def visit_DictComp(self, node: ast.DictComp) -> None:
        self._comprehension(node)

    def visit_GeneratorExp(self, node: ast.GeneratorExp) -> None:
        self._comprehension(node)

    def visit_Starred(self, node: ast.Starred) -> None:  # the name that ast wants
        self._check(node.value, "unpacks")
        self.generic_visit(node)

    def visit_YieldFrom(self, node: ast.YieldFrom) -> None:  # the name that ast wants
        self._check(node.value, "yields from")
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:  # the name that ast wants
        name = _tail(node.func)
        method = isinstance(node.func, ast.Attribute)
        tied = name in {"min", "max"} and any(keyword.arg == "key" for keyword in node.keywords)
        if (not method and (name in _ORDERED or tied)) or (method and name in {"join", "extend", "fromkeys"}):
            for argument in node.args:
                self._check(argument, f"{name}() over")
        elif not method and name in _ORDER_FREE and node.args and not tied:
            self._order_free.append(node.args[0])
        if isinstance(node.func, ast.Attribute) and name == "pop" and not node.args:
            self._check(node.func.value, "takes any element of")
        self.generic_visit(node)
