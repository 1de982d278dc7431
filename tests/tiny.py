"""Transformers small enough to make in a test: random weights, a vocabulary of the test's words."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def _vocabulary(texts: Sequence[str]) -> dict[str, int]:
    words = sorted({w for t in texts for w in re.findall(r"\w+|[^\w\s]", t.lower())})
    letters = sorted({c for w in words for c in w} | set("abcdefghijklmnopqrstuvwxyz0123456789"))
    # Single letters let a mistyped word fall into pieces instead of becoming [UNK].
    pieces = (*_SPECIAL, *words, *letters, *(f"##{c}" for c in letters))
    return {piece: i for i, piece in enumerate(dict.fromkeys(pieces))}


def _tokenizer(folder: Path, vocabulary: dict[str, int], *, max_length: int, ends: bool) -> None:
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

    made = Tokenizer(models.WordPiece(vocab=vocabulary, unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.decoder = decoders.WordPiece()
    config: dict[str, object] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": max_length,
        "unk_token": "[UNK]",
        "clean_up_tokenization_spaces": False,
    }
    if ends:
        made.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]",
            pair="[CLS] $A [SEP] $B:1 [SEP]:1",
            special_tokens=[("[CLS]", vocabulary["[CLS]"]), ("[SEP]", vocabulary["[SEP]"])],
        )
        config |= {
            "tokenizer_class": "BertTokenizerFast",
            "do_lower_case": True,
            "pad_token": "[PAD]",
            "cls_token": "[CLS]",
            "sep_token": "[SEP]",
            "mask_token": "[MASK]",
        }
    made.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps(config), "utf-8")
    if ends:
        (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n", "utf-8")


def tiny_bert(
    folder: Path,
    texts: Sequence[str],
    labels: Sequence[str] = ("negative", "positive"),
    *,
    head: Literal["single", "multi", "regression", "none"] = "single",
    layers: int = 2,
    hidden: int = 32,
    max_length: int = 64,
    seed: int = 0,
    sharpness: float = 2.0,
) -> Path:
    """Write a random BERT over the words of `texts` and return its folder.

    Args:
        folder: Made if it is missing.
        texts: Their words become the vocabulary; other words fall into letters.
        labels: Names in the order of the logits.
        head: ``single`` (softmax), ``multi`` (sigmoid), ``regression`` (one number, to be refused)
            or ``none`` (an encoder alone, as a pretrained one comes).
        layers: Encoder layers.
        hidden: Width; four heads, so a multiple of four.
        max_length: Positions of the model.
        seed: The same seed gives the same weights.
        sharpness: Factor on the head's weights: a random head says 0.5 of everything.
    """
    import torch
    from transformers import BertConfig, BertForSequenceClassification, BertModel

    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = _vocabulary(texts)
    kinds = {
        "single": "single_label_classification",
        "multi": "multi_label_classification",
        "regression": "regression",
    }
    names = ["score"] if head == "regression" else list(labels)
    extra = {} if head == "none" else {"problem_type": kinds[head]}
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=4,
        intermediate_size=2 * hidden,
        max_position_embeddings=max_length,
        initializer_range=0.2,
        id2label=dict(enumerate(names)),
        label2id={name: i for i, name in enumerate(names)},
        pad_token_id=0,
        **extra,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if head == "none":
            model = BertModel(config)
        else:
            model = BertForSequenceClassification(config)
            with torch.no_grad():
                model.classifier.weight.mul_(sharpness)
    model.save_pretrained(folder)
    _tokenizer(folder, vocabulary, max_length=max_length, ends=True)
    return folder


def tiny_decoder(
    folder: Path,
    texts: Sequence[str],
    labels: Sequence[str] = ("negative", "positive"),
    *,
    kind: Literal["gpt2", "llama"] = "gpt2",
    layers: int = 2,
    hidden: int = 32,
    max_length: int = 64,
    seed: int = 0,
    sharpness: float = 2.0,
) -> Path:
    """Write a random decoder with a classification head and, as such models come, no pad token.

    Arguments as in `tiny_bert`.
    """
    import torch
    from transformers import (
        GPT2Config,
        GPT2ForSequenceClassification,
        LlamaConfig,
        LlamaForSequenceClassification,
    )

    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = _vocabulary(texts)
    named = {
        "id2label": dict(enumerate(labels)),
        "label2id": {name: i for i, name in enumerate(labels)},
        "bos_token_id": None,
        "eos_token_id": None,
        "initializer_range": 0.2,
        "vocab_size": len(vocabulary),
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if kind == "gpt2":
            config = GPT2Config(
                n_embd=hidden, n_layer=layers, n_head=4, n_positions=max_length, **named
            )
            model = GPT2ForSequenceClassification(config)
        else:
            config = LlamaConfig(
                hidden_size=hidden,
                intermediate_size=2 * hidden,
                num_hidden_layers=layers,
                num_attention_heads=4,
                num_key_value_heads=4,
                max_position_embeddings=max_length,
                **named,
            )
            model = LlamaForSequenceClassification(config)
        with torch.no_grad():
            model.score.weight.mul_(sharpness)
    model.save_pretrained(folder)
    _tokenizer(folder, vocabulary, max_length=max_length, ends=False)
    return folder


def tiny_masked(
    folder: Path,
    texts: Sequence[str],
    *,
    layers: int = 2,
    hidden: int = 32,
    max_length: int = 64,
    seed: int = 0,
) -> Path:
    """Write a random BERT that fills masks. Arguments as in `tiny_bert`."""
    import torch
    from transformers import BertConfig, BertForMaskedLM

    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = _vocabulary(texts)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=4,
        intermediate_size=2 * hidden,
        max_position_embeddings=max_length,
        initializer_range=0.2,
        pad_token_id=0,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        BertForMaskedLM(config).save_pretrained(folder)
    _tokenizer(folder, vocabulary, max_length=max_length, ends=True)
    return folder


def tiny_writer(
    folder: Path, texts: Sequence[str], *, kind: Literal["causal", "translation"], seed: int = 0
) -> Path:
    """Write a random GPT-2 that goes on with a text, or a random BART that answers one."""
    import torch
    from transformers import (
        BartConfig,
        BartForConditionalGeneration,
        GPT2Config,
        GPT2LMHeadModel,
    )

    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = _vocabulary(texts)
    ends = {
        "bos_token_id": vocabulary["[CLS]"],
        "eos_token_id": vocabulary["[SEP]"],
        "pad_token_id": vocabulary["[PAD]"],
        "vocab_size": len(vocabulary),
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if kind == "causal":
            config = GPT2Config(
                n_embd=32, n_layer=2, n_head=4, n_positions=160, initializer_range=0.2, **ends
            )
            model = GPT2LMHeadModel(config)
        else:
            model = BartForConditionalGeneration(
                BartConfig(
                    d_model=32,
                    encoder_layers=1,
                    decoder_layers=1,
                    encoder_attention_heads=4,
                    decoder_attention_heads=4,
                    encoder_ffn_dim=64,
                    decoder_ffn_dim=64,
                    max_position_embeddings=64,
                    init_std=0.2,
                    decoder_start_token_id=vocabulary["[SEP]"],
                    forced_eos_token_id=vocabulary["[SEP]"],
                    **ends,
                )
            )
        model.save_pretrained(folder)
    _tokenizer(
        folder, vocabulary, max_length=64 if kind != "causal" else 160, ends=kind != "causal"
    )
    return folder


def small_audit(home: Path, texts: Sequence[str]) -> None:
    """Write a random BERT, a few labelled texts and an audit file into `home`, and run it."""
    from audit.cli import main

    tiny_bert(home / "model", [*texts, "he his him"])
    table = ["id,text,label,sex"]
    for i, text in enumerate(texts):
        table.append(f't{i},"{text}",{"positive" if i else "negative"},{"f" if i == 0 else "m"}')
    (home / "texts.csv").write_text("\n".join(table) + "\n", "utf-8")
    (home / "audit.toml").write_text(
        '[model]\npath = "model"\ndevice = "cpu"\n[decision]\nfavourable = ["positive"]\n'
        '[corpora.test]\npath = "texts.csv"\ntext = "text"\nlabel = "label"\nid = "id"\n'
        'check_labels = false\n[corpora.test.groups]\nsex = "sex"\n'
        '[[probe]]\nname = "swaps"\naxis = "gender"\n',
        "utf-8",
    )
    assert main(["run", str(home / "audit.toml"), "--quiet"]) == 0
