"""Le Courrier de la Dourelle: a French news site of our own writing, with its third parties, to see Volens at work.

Everything happens for real on one machine: the third parties answer under ``*.localhost`` names, set cookies and
remember what they receive. ``run`` starts the site, the third parties and, in front, Volens.
"""

from volens_demo.serve import Demo, run, start

__all__ = ["Demo", "run", "start"]
