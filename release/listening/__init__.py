"""The ears of the release: what was said, how good it sounds, how loud it is.

A module here imports nothing heavy before it listens, so that a release which needs no ears starts at once.
"""
