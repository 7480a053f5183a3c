from keras_twostream.data.extraction.extracting import Summary as Summary
from keras_twostream.data.extraction.extracting import extract as extract
from keras_twostream.data.extraction.jobs import Job as Job
from keras_twostream.data.extraction.jobs import find_jobs as find_jobs
