"""Names that try to become links, pictures, markup, columns or lines on Dagster's page."""

NAMES = (
    "![x](http://evil.test/x.png)",
    "<img src=http://evil.test/y.png onerror=alert(1)>",
    "[a](javascript:alert(1))",
    "http://evil.test/plain",
    "www.evil.test",
    "a | b\nc",
    "`![x](http://evil.test/z.png)`",
    "<script>alert(1)</script>",
    "&lt;b&gt;",
    "| --- | --- |",
    "\u202eright to left",
    "\\`![x](http://evil.test/w.png)",
)
