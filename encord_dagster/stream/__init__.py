"""Conversion of one export into plain files without a lake: row by row, in several processes, in bounded memory."""
