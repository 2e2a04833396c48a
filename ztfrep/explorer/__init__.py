"""The map of a catalogue: its vectors in a plane, with stamps, light curves and neighbours."""
