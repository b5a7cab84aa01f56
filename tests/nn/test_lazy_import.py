"""The compiler of torch stays out, and is there when it is called."""

from __future__ import annotations

import subprocess
import sys

ASKED = """
import sys
from blemish.nn.lazy_import import COMPILER, defer_torch_dynamo
with defer_torch_dynamo():
    import blemish.methods.tlsdd.network.detector
from torchvision.ops.roi_align import is_compile_supported
assert COMPILER not in sys.modules and "sympy" not in sys.modules
given = is_compile_supported("cpu")
import torch._dynamo.utils
assert given == torch._dynamo.utils.is_compile_supported("cpu")
assert COMPILER in sys.modules
with defer_torch_dynamo():
    assert sys.modules[COMPILER] is torch._dynamo.utils
"""


def test_the_compiler_is_imported_when_it_is_called_and_not_before() -> None:
    done = subprocess.run([sys.executable, "-c", ASKED], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
