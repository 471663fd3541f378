"""The paper's pieces, plain PyTorch and NumPy: which rows (selection), which classes (dropping),
which losses.
"""
