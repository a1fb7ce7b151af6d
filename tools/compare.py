"""Train several configs alike, score them alike, and put them into one table:
python tools/compare.py configs/srresnet_24b.py configs/face_unet.py --iterations 3000
"""

import argparse
from pathlib import Path

from _cli import add_config_options, add_overwrite, count, run


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    add_config_options(parser, several=True)
    parser.add_argument(
        '--iterations',
        type=count,
        required=True,
        metavar='N',
        help='how many each is trained, with its schedule scaled to them',
    )
    parser.add_argument(
        '--seeds',
        type=int,
        nargs='+',
        default=[0],
        metavar='N',
        help='each config is trained with each of them; default: 0',
    )
    parser.add_argument(
        '--out',
        type=Path,
        default=Path('work_dirs/recipes'),
        metavar='DIR',
        help='for the runs and the table; a comparison that was stopped resumes from it; '
        'default: work_dirs/recipes',
    )
    parser.add_argument('--json', type=Path, metavar='FILE', help='also write the scores there')
    add_overwrite(parser)
    return parser.parse_args()


def main(args: argparse.Namespace) -> None:
    from dataclasses import asdict

    from benchmarks.measure import write_json
    from facesr.errors import UserError
    from facesr.files import claim, write_whole
    from facesr.recipes import format_results, list_entries, train_and_score

    entries = list_entries(args.config, args.cfg_options, args.seeds, args.iterations, args.out)
    path = args.out / 'recipes.md'
    for entry in entries:
        if args.json is not None and entry.work_dir.resolve() in args.json.resolve().parents:
            raise UserError(f'{args.json}: is in the folder of a run; choose another place')
    targets = [path, *([args.json] if args.json else [])]
    with claim(targets, map(Path, args.config), args.overwrite):
        results, bicubic = train_and_score(entries)
        table = format_results(results, bicubic)
        print(table)
        with write_whole(path) as partial:
            partial.write_text(table + '\n', encoding='utf-8')
        print(path)
        if args.json is not None:
            rows = [asdict(result) for result in results]
            write_json(args.json, args, {'bicubic': bicubic, 'recipes': rows})
            print(args.json)


if __name__ == '__main__':
    run(main, parse_args())
