"""The status page: what ``fmdj status``, ``explain`` and ``logs`` say, in a browser; nothing can be changed there."""
