"""TensorFlow behind Trainyard's `/train`."""

import os

# TensorFlow reads these once, when it is imported. It would say which instructions it was built for, that oneDNN
# rounds differently, and that there is no CUDA: nobody asked.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
