"""Open Images (Kuznetsova et al. 2020): tables, choice of images, download."""
