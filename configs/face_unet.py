# A U-shaped net for whole aligned faces, below the challenge's limit of parameters; a tenth of the
# 24-block SRResNet's operations. Whole faces only: its map of the face fits no crop.
_base_ = ['srresnet_24b_plus.py']
work_dir = 'work_dirs/{{fileBasenameNoExtension}}'

model = dict(generator=dict(_delete_=True, type='FaceUNet'))

optim_wrapper = dict(optimizer=dict(lr=1e-3))
