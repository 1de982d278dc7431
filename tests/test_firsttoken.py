import numpy as np
import pytest
from tiny import tiny_bert, tiny_decoder

from audit import firsttoken
from audit.newhead import drop

TEXTS = ["a good film", "a bad film, too long by half and then some", "odd", ""]


def load(folder):
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    module = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    return module, AutoTokenizer.from_pretrained(folder)


def logits(module, tokenizer, texts=TEXTS):
    import torch

    tokenizer.pad_token = tokenizer.pad_token or "[UNK]"
    with torch.inference_mode():
        return module(**tokenizer(texts, padding=True, return_tensors="pt")).logits.numpy()


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_the_short_layer_says_what_the_whole_one_says(tmp_path, attention):
    module, tokenizer = load(tiny_bert(tmp_path, TEXTS))
    module.set_attn_implementation(attention)
    before = logits(module, tokenizer)
    assert firsttoken.shorten(module)
    np.testing.assert_allclose(logits(module, tokenizer), before, atol=1e-5)
    np.testing.assert_allclose(
        logits(module, tokenizer, TEXTS[:1]), before[:1], atol=1e-5, err_msg="without padding"
    )
    firsttoken.restore(module)
    np.testing.assert_array_equal(logits(module, tokenizer), before)
    assert type(module.base_model.encoder.layer[-1]).__name__ == "BertLayer"


def test_roberta_reads_its_first_token_too():
    import torch
    from transformers import RobertaConfig, RobertaForSequenceClassification

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = RobertaConfig(
            vocab_size=50,
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=4,
            intermediate_size=64,
            max_position_embeddings=20,
            initializer_range=0.3,
        )
        module = RobertaForSequenceClassification(config).eval()
    ids = torch.tensor([[0, 5, 9, 31, 2], [0, 7, 2, 1, 1]])
    mask = (ids != 1).long()
    with torch.inference_mode():
        before = module(input_ids=ids, attention_mask=mask).logits.numpy()
        assert firsttoken.shorten(module)
        after = module(input_ids=ids, attention_mask=mask).logits.numpy()
    np.testing.assert_allclose(after, before, atol=1e-5)


def test_a_layer_that_would_answer_otherwise_is_left_alone(tmp_path):
    """A head that reads every token must not lose them."""
    module, tokenizer = load(tiny_bert(tmp_path, TEXTS))
    module.bert.pooler.forward = lambda hidden: hidden.mean(dim=1)
    before = logits(module, tokenizer)
    assert not firsttoken.shorten(module)
    np.testing.assert_array_equal(logits(module, tokenizer), before)


def test_other_architectures_are_left_alone(tmp_path):
    module, tokenizer = load(tiny_decoder(tmp_path, TEXTS))
    before = logits(module, tokenizer, TEXTS[:1])
    assert not firsttoken.shorten(module)
    np.testing.assert_array_equal(logits(module, tokenizer, TEXTS[:1]), before)
    firsttoken.restore(module)


def test_mode_and_dice_stay_as_they_were(tmp_path):
    import torch

    module, _ = load(tiny_bert(tmp_path, TEXTS))
    module.train()
    before = torch.get_rng_state()
    assert firsttoken.shorten(module)
    assert module.training and module.base_model.encoder.layer[-1].training
    assert torch.equal(before, torch.get_rng_state())


def test_training_on_the_short_layer_has_the_gradients_of_the_whole_one(tmp_path):
    import torch

    module, tokenizer = load(tiny_bert(tmp_path, TEXTS))
    inputs = tokenizer(TEXTS, padding=True, return_tensors="pt")
    names = list(module.state_dict())

    def gradients():
        module.zero_grad()
        module(**inputs, labels=torch.tensor([0, 1, 1, 0])).loss.backward()
        return {name: w.grad.clone() for name, w in module.named_parameters()}

    whole = gradients()
    with firsttoken.shortened_for_training(module) as short:
        assert short
        assert list(module.state_dict()) == names
        there = gradients()
        # What is left of the layer is one token: a hook on its last part says so.
        seen = []
        last = module.base_model.encoder.layer[-1].output
        hook = last.register_forward_hook(lambda _, __, out: seen.append(out.shape[1]))
        module(**inputs)
        hook.remove()
        assert seen == [1]
    for name, gradient in whole.items():
        np.testing.assert_allclose(there[name], gradient, atol=1e-5, err_msg=name)
    np.testing.assert_array_equal(gradients()["classifier.weight"], whole["classifier.weight"])


def test_the_short_layer_drops_attention_in_training_and_only_then(tmp_path):
    import torch

    module, tokenizer = load(tiny_bert(tmp_path, TEXTS))
    inputs = tokenizer(TEXTS, padding=True, return_tensors="pt")
    drop(module, 0.0)
    last = module.base_model.encoder.layer[-1].attention.self.dropout
    with torch.random.fork_rng(devices=[]), firsttoken.shortened_for_training(module):
        module.train()
        one = module(**inputs).logits
        assert torch.equal(one, module(**inputs).logits)
        last.p = 0.5
        assert not torch.equal(one, module(**inputs).logits)
        module.eval()
        assert torch.allclose(one, module(**inputs).logits, atol=1e-5)
