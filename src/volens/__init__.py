"""Volens: consent that is asked plainly, obeyed in every layer, and provable."""
