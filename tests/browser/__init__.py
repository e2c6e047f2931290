"""The console as people use it: Debian's Chromium, headless, on a lab's real gateway."""
