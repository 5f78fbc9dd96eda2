"""Secrets Manager, whole: MiniStack's own is too lenient to be mended from outside.

Each module imports the ones above it in this list: `schedule` (when a rotation is due), `store`
(secrets, versions, labels), `api` (the operations), `rotation` (RotateSecret and what it drives).
"""
