"""The Python of the docs: run as it stands where that is quick, else bound to what it calls.

The page of own losses and the lines that load a student are run in tests of theirs.
"""

import ast
import inspect
import re

import pytest
import torch

import segdistill
from documented import PAGES, blocks

# In the page of functions, a block after a heading shows how the function is called.
SIGNATURE = re.compile(r"segdistill\.[\w.]+\((\n|.*: |\w*\) ->|\) ->)")
PYTHON = [
    pytest.param(block, id=f"{page.name}-{place}")
    for page in PAGES
    for place, block in enumerate(blocks(page, "python"))
    if not SIGNATURE.match(block)
]
IN_A_LOOP = [case for case in PYTHON if "loss = task_loss" in case.values[0]]


@pytest.mark.parametrize("block", PYTHON)
def test_what_is_called_takes_what_it_is_given(block: str) -> None:
    for node in ast.walk(ast.parse(block)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("segdistill"):
            exec(compile(ast.Module([node], []), "import", "exec"), {})
        if isinstance(node, ast.Call):
            called = re.fullmatch(r"segdistill\.(\w+)", ast.unparse(node.func))
            if called is not None:
                keywords = {str(keyword.arg): keyword.value for keyword in node.keywords}
                inspect.signature(getattr(segdistill, called[1])).bind(*node.args, **keywords)


@pytest.mark.parametrize("block", IN_A_LOOP)
def test_a_loss_in_a_loop_of_ones_own(block: str) -> None:
    student_logits = torch.randn(2, 3, 4, 5, requires_grad=True)
    given = {"task_loss": 1.0, "student_logits": student_logits}
    given |= {"teacher_logits": torch.randn(2, 3, 4, 5)}
    exec(block, given)
    assert given["loss"] > 1
    given["loss"].backward()
    assert student_logits.grad is not None


def test_both_pages_with_such_a_loop_are_found() -> None:
    assert {case.id for case in IN_A_LOOP} == {"README.md-1", "your-own-network.md-0"}
