"""Catalogues: tables of the vectors of alerts and objects, and what is computed from them."""
