"""CVAT: functions that its own tools call, and labels and masks of its tasks.

``detection`` and ``interaction`` make the functions that ``cvat_sdk.auto_annotation`` describes; the modules ``detect``
and ``interact`` are what ``cvat-cli --function-module`` takes. All of it needs the extra ``cvat``, when it is called.
"""

from weakseg.lazy import imported_late

__all__ = ["detection", "interaction"]

__getattr__ = imported_late(__name__, {"detection": "detect", "interaction": "interact"})
