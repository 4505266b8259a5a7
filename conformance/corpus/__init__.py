"""The corpus: files, and what each of them must give.

`format` is what stands in it, `paths` what a file is proved to exercise, `build`
makes it with torch, `verify` holds our parser against it without, `export`
copies it for somebody else.
"""
