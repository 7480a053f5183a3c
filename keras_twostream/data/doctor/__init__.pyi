from keras_twostream.data.doctor.examining import examine as examine
from keras_twostream.data.doctor.report import Finding as Finding
from keras_twostream.data.doctor.report import Report as Report
