"""How often a token stands right before another one, counted over shards."""

import numpy as np

from electra_paddle.text import Vocabulary

CHUNK = 8_000_000  # tokens counted at a time


def count_pairs(shards, vocabulary: Vocabulary, on_tokens=lambda count: None):
    """[V, V] scipy sparse array of int64; pairs with a special token in them are left out.

    Memory grows with the different pairs, not with the tokens.
    """
    from scipy import sparse

    size = len(vocabulary)
    special = np.zeros(size, bool)
    special[[vocabulary.pad, vocabulary.unk, vocabulary.cls, vocabulary.sep, vocabulary.mask]] = True
    total = sparse.csr_array((size, size), dtype=np.int64)
    for tokens in shards.token_chunks(CHUNK):
        is_word = ~special[tokens]
        both = is_word[:-1] & is_word[1:]
        keys, counts = np.unique(tokens[:-1][both].astype(np.int64) * size + tokens[1:][both], return_counts=True)
        total = total + sparse.csr_array((counts, (keys // size, keys % size)), shape=(size, size))
        on_tokens(len(tokens))
    return total
