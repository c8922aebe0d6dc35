"""Bulk operations (section 8.4 of the specification): a change of many objects that a condition chooses.

An operation is a row, its objects are rows too, fixed at its start. Chunk after chunk is changed, each in one
transaction together with what is noted of it: whichever process does the next one goes on where the last one ended, and
no object is changed twice.
"""
