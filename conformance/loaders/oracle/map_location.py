"""Where torch puts what a file tags with a device that is not here."""

from __future__ import annotations

import re
from typing import Any, Final


class ToCPU(dict[Any, Any]):
    """A `map_location` that moves accelerators to the CPU, and nothing else.

    A plain `"cpu"` would move `meta` too, and a function is refused for wrapper
    subclasses; a dict with this `get` works in both of torch's look-ups.
    """

    #: As `torch.serialization._deserialize` tests them, and those of plug-ins.
    ACCELERATORS: Final = re.compile(
        r"(cuda|hip|xpu|hpu|mtia|mps|xla|maia|npu|mlu|musa|privateuseone|ipu|ve|vulkan"
        r"|opencl|opengl|lazy|fpga|ideep)(:|[0-9]|$)"
    )

    def get(self, location: Any, default: Any = None) -> Any:
        return "cpu" if self.ACCELERATORS.match(str(location)) else default
