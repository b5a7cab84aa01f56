"""Line scan: strips, in the order in which they were taken, are one endless image, the web.

See docs/streaming.md for what is written.
"""

from blemish.inspector.line_scan.web import Web, web_answers

__all__ = ["Web", "web_answers"]
