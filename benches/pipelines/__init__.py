"""Chains of damage and augmentation as others publish them, written anew to be timed beside ours.

They draw as the published code draws and call what it calls, so that they cost what it costs. None of them is held to our results.
"""
