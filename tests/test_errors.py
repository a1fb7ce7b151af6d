from facesr.errors import UserError


def test_message_survives_the_data_loaders_wrapping():
    wrapped = (
        'Caught UserError in DataLoader worker process 0.\nOriginal Traceback (most recent call '
        'last):\n  File "x.py", line 1\nfacesr.errors.UserError: a.png: not a readable image\n'
    )
    assert str(UserError(wrapped)) == 'a.png: not a readable image'
    assert str(UserError('a.png: plain')) == 'a.png: plain'
