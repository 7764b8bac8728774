"""How close an image is to a reference: PSNR and the structural similarity, with the protocols of the published tables."""

from imrestore.metrics._psnr import mse, psnr
from imrestore.metrics._ssim import ms_ssim, ssim

__all__ = ["ms_ssim", "mse", "psnr", "ssim"]
