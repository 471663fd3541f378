"""Single images: decoding what is encoded, keeping what was decoded, and the tensors a network
sees.
"""
