"""Fetch VGG19's weights for the perceptual loss (548 MB) into data/pretrained:
python tools/fetch_vgg.py
"""

import argparse

from _cli import run


def main(_: argparse.Namespace) -> None:
    from facesr.models.perceptual_loss import fetch_vgg, vgg_url

    print(f'{fetch_vgg(vgg_url("vgg19"))}: complete')


if __name__ == '__main__':
    run(main, argparse.ArgumentParser(description=__doc__).parse_args())
