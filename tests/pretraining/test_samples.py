import numpy as np
import paddle

from electra_paddle.batch import CorruptedBatch, MaskedBatch, PretrainingOutput
from electra_paddle.pretraining.samples import describe_samples
from electra_paddle.text import Vocabulary

TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "天", "气", "很", "好", "坏"]


def tensors(**arrays):
    return {name: paddle.to_tensor(np.array(values)) for name, values in arrays.items()}


def test_answers_of_both_networks_stand_in_brackets():
    fields = tensors(
        input_ids=[[2, 5, 6, 7, 8, 3, 0]],
        token_type_ids=[[0] * 7],
        attention_mask=[[1, 1, 1, 1, 1, 1, 0]],
        masked_input_ids=[[2, 5, 4, 7, 4, 3, 0]],
        masked_positions=[[2, 4, 0]],
        masked_labels=[[6, 8, 0]],
        masked_weights=np.array([[1, 1, 0]], "float32"),
        mlm_normalizer=np.float32(2),
        rtd_normalizer=np.float32(6),
    )
    missing = {name: None for name in MaskedBatch._fields if name not in fields}
    batch = MaskedBatch(**fields, **missing)
    sampled = paddle.to_tensor([[6, 9, 1]])
    logits = paddle.to_tensor([[-9.0, 2.0, -9.0, -9.0, 0.5, -9.0, 9.0]])
    output = PretrainingOutput(None, None, None, None, sampled, CorruptedBatch(None, None), logits)
    texts = describe_samples(batch, output, Vocabulary(TOKENS))[0]
    assert texts == {
        "original": "[CLS] 天 气 很 好 [SEP]",
        "masked": "[CLS] 天 [MASK] 很 [MASK] [SEP]",
        "generated": "[CLS] 天 【气】 很 【坏 for 好】 [SEP]",
        "judged": "[CLS] 【天 0.88】 气 很 【坏 0.62】 [SEP]",
        "result": "1 of 1 replaced tokens found, 1 false alarms",
    }
    alone = output._replace(corrupted=None, rtd_logits=None)
    assert list(describe_samples(batch, alone, Vocabulary(TOKENS))[0]) == ["original", "masked", "generated"]
