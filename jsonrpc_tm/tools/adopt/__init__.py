"""Takes over a TransformationDB of the reference service: ``jsonrpc-tm db adopt``.

New tables are filled beside the old ones in chunks, compared with them, and change places with them in one step. Until
then the old tables are only read; afterwards they stay under other names until they are dropped on request.
"""
