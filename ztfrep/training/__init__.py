"""Fitting of networks: the loop, augmentation, sampling, checkpoints."""
