"""What can be broken in a file: places and new text, of Python on its syntax tree and of CUDA on its text."""

from __future__ import annotations

import ast
import re

COMPARISONS = {
    ast.Lt: "<=", ast.LtE: "<", ast.Gt: ">=", ast.GtE: ">", ast.Eq: "!=", ast.NotEq: "==",
    ast.Is: "is not", ast.IsNot: "is", ast.In: "not in", ast.NotIn: "in",
}  # fmt: skip
ARITHMETIC = {
    ast.Add: "-", ast.Sub: "+", ast.Mult: "+", ast.Div: "*", ast.FloorDiv: "*", ast.Mod: "+", ast.LShift: ">>",
    ast.RShift: "<<", ast.BitAnd: "|", ast.BitOr: "&", ast.BitXor: "|",
}  # fmt: skip
SWAPPED_CALLS = {
    "min": "max", "max": "min", "any": "all", "all": "any", "floor": "ceil", "minimum": "maximum", "maximum": "minimum",
}  # fmt: skip


class Finder(ast.NodeVisitor):
    """Collects (node or pair of nodes to replace, new text)."""

    def __init__(self, source: str) -> None:
        self.source = source
        lines = source.splitlines(keepends=True)
        # Columns count UTF-8 bytes.
        self.bytes = source.encode()
        self.offsets = [0]
        for line in lines:
            self.offsets.append(self.offsets[-1] + len(line.encode()))
        self.found: list[tuple[int, int, int, str]] = []

    def position(self, line: int, column: int) -> int:
        return len(self.bytes[: self.offsets[line - 1] + column].decode())

    def span(self, node: ast.AST) -> tuple[int, int]:
        return self.position(node.lineno, node.col_offset), self.position(node.end_lineno, node.end_col_offset)

    def text(self, node: ast.AST) -> str:
        start, stop = self.span(node)
        return self.source[start:stop]

    def replace(self, node: ast.AST, text: str) -> None:
        self.found.append((node.lineno, *self.span(node), text))

    def between(self, left: ast.AST, right: ast.AST, text: str) -> None:
        """Replace the operator that stands between two nodes."""
        start, stop = self.span(left)[1], self.span(right)[0]
        gap = self.source[start:stop]
        operator = re.search(r"[^\s()]+( +(not|in)\b)?", gap)
        if operator and "#" not in gap:
            self.found.append((right.lineno, start + operator.start(), start + operator.end(), text))

    def visit_Compare(self, node: ast.Compare) -> None:
        left = node.left
        for operator, right in zip(node.ops, node.comparators, strict=True):
            self.between(left, right, COMPARISONS[type(operator)])
            left = right
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        strings = [n for n in (node.left, node.right) if isinstance(n, ast.JoinedStr | ast.Constant) and not number(n)]
        if type(node.op) in ARITHMETIC and not strings:
            self.between(node.left, node.right, ARITHMETIC[type(node.op)])
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        for left, right in zip(node.values, node.values[1:], strict=False):
            self.between(left, right, "or" if isinstance(node.op, ast.And) else "and")
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        if isinstance(node.op, ast.Not | ast.USub):
            self.replace(node, f"({self.text(node.operand)})")
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, bool):
            self.replace(node, str(not node.value))
        elif number(node):
            self.replace(node, f"{node.value + 1}")

    def visit_IfExp(self, node: ast.IfExp) -> None:
        self.replace(node, f"{self.text(node.orelse)} if {self.text(node.test)} else {self.text(node.body)}")
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        name = node.func
        last = name.attr if isinstance(name, ast.Attribute) else getattr(name, "id", "")
        if last in SWAPPED_CALLS:
            self.found.append((node.lineno, self.span(name)[1] - len(last), self.span(name)[1], SWAPPED_CALLS[last]))
        self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        if type(node.op) in ARITHMETIC:
            self.between(node.target, node.value, ARITHMETIC[type(node.op)] + "=")
        self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> None:
        self.replace(node, "pass")  # its message is no arithmetic: not looked into

    def visit_Assert(self, node: ast.Assert) -> None:
        self.replace(node, "pass")

    def visit_Expr(self, node: ast.Expr) -> None:
        if isinstance(node.value, ast.Call):
            self.replace(node, "pass")
        if not isinstance(node.value, ast.Constant):  # a docstring
            self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        for default in (*node.args.defaults, *node.args.kw_defaults):
            if default is not None:
                self.visit(default)
        for statement in node.body:  # neither annotations nor decorators
            self.visit(statement)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None: ...

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None: ...


def number(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, int | float) and not isinstance(node.value, bool)


def python_mutants(source: str) -> list[tuple[int, int, int, str]]:
    finder = Finder(source)
    finder.visit(ast.parse(source))
    return finder.found


CUDA_RULES = (
    (r"(?<=[\w)\] ])<=(?=[ \w(])", "<"), (r"(?<= )<(?= )", "<="), (r"(?<= )>(?= )", ">="), (r"(?<= )>=(?= )", ">"),
    (r"==", "!="), (r"!=", "=="), (r"&&", "||"), (r"\|\|", "&&"), (r"(?<= )\+(?= )", "-"), (r"(?<= )-(?= )", "+"),
    (r"(?<= )\*(?= )", "+"), (r"(?<= )/(?= )", "*"), (r"(?<= )%(?= )", "/"), (r"\bmin\b(?=\()", "max"),
    (r"\bmax\b(?=\()", "min"), (r"(?<=[ (\[])0(?=[;,)\] ])", "1"), (r"(?<=[ (\[])1(?=[;,)\] ])", "2"),
    (r"\+=", "-="), (r"__syncthreads\(\);", ";"), (r"\bcontinue;", ";"), (r"<<", ">>"), (r"(?<= )>>(?= )", "<<"),
)  # fmt: skip


def cuda_mutants(source: str) -> list[tuple[int, int, int, str]]:
    found = []
    offset = 0
    in_comment = False
    for number_of_line, line in enumerate(source.splitlines(keepends=True), 1):
        code = line.split("//")[0]
        in_comment = in_comment or code.lstrip().startswith("/*")
        if not in_comment and not code.lstrip().startswith(("#", "template", "*")):
            for pattern, text in CUDA_RULES:
                spots = [(offset + match.start(), offset + match.end()) for match in re.finditer(pattern, code)]
                found += [(number_of_line, start, stop, text) for start, stop in spots]
        in_comment = in_comment and "*/" not in code
        offset += len(line)
    return found
