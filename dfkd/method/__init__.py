"""Method: the recipe's pieces in plain PyTorch and NumPy.

Selection says which rows, dropping which classes, losses what the student learns from them.
"""
