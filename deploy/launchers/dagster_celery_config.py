"""What a Celery worker goes by: put this module's folder on its PYTHONPATH."""

import os

broker_url = os.environ["CELERY_BROKER_URL"]
result_backend = os.environ["CELERY_RESULT_URL"]
