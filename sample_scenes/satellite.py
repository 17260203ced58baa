"""Sentinel-2-like scenes: six bands, 10 m, reflectance."""
from sample_scenes import country_surface, countryside
from sample_scenes.light import Sun, illumination
from sample_scenes.materials import BANDS, reflectance
from sample_scenes.noise import stream
from sample_scenes.sensor import *
import numpy as np
FACTOR=3
def scene(seed, shape, style, year):
    px=10/FACTOR
    c=countryside.lay_out((shape[0]*FACTOR,shape[1]*FACTOR),px,seed,style)
    return render(c,year)
def render(c,year):
    px=c.pixel
    s=country_surface.dress(c,year)
    image=reflectance(s.material,s.mixture,BANDS)*s.brightness
    image*=np.where(s.landcover==1,1,illumination(c.terrain,s.height,px,Sun(azimuth=150,elevation=55),60))
    image=average(image,FACTOR)
    rng=stream(c.seed,f"sensor {year}")
    image=blur(image,0.45)
    image=through_air(image,BANDS,10,Air(clear=.1,hazy=.5,direction=30),rng)
    image=noisy(image,rng,floor=.0008,relative=.006)
    return image, majority(s.landcover,FACTOR,range(1,7))
