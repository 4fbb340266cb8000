from fastapi import FastAPI
from fastapi_cloudops import Settings, get_logger, instrument

app = FastAPI()
instrument(app, Settings.load(redact_keys="customer_no", redact_keep_keys="token_kind"))
log = get_logger("shop")

log.info("signed in", headers={"Authorization": "Bearer abc", "accept": "*/*"}, password="hunter2", token_kind="api")
log.info("mail to ada@example.com, paid with 4111 1111 1111 1111", customerNo=4711)
log.warning("no answer from postgresql://ada:hunter2@db/orders?sslpassword=hunter2")
log.error("refused: --api-key hunter2 and {'client_secret': 'hunter2'}")
