#!/bin/sh
# Farmhand: starts this machine's agent. It holds no secret: the machine reads the store with its instance profile.
# python3 is there wherever cloud-init is, which runs this at the first boot.
set -u
STARTING='@STARTING@'
export STARTING
exec python3 - <<'PYTHON'
import datetime, hashlib, hmac, json, os, platform, subprocess, sys, time, urllib.parse, urllib.request

S = json.loads(os.environ["STARTING"])
IMDS = os.environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://169.254.169.254").rstrip("/")


def say(text):
    print("farmhand:", text, file=sys.stderr, flush=True)


def get(url, headers={}, method="GET", direct=False):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({})) if direct else urllib.request.build_opener()
    return opener.open(urllib.request.Request(url, headers=headers, method=method), timeout=30)


def metadata(path, token):
    return get(IMDS + "/latest/" + path, {"X-aws-ec2-metadata-token": token}, direct=True).read().decode()


def credentials():
    token = get(IMDS + "/latest/api/token", {"X-aws-ec2-metadata-token-ttl-seconds": "300"}, "PUT", direct=True).read().decode()
    role = metadata("meta-data/iam/security-credentials/", token).split()[0]
    return json.loads(metadata("meta-data/iam/security-credentials/" + role, token))


def signed(url, c):
    """Headers of a GET by Signature Version 4 (the documentation's "Create a signed AWS API request")."""
    at = datetime.datetime.now(datetime.timezone.utc)
    when, day = at.strftime("%Y%m%dT%H%M%SZ"), at.strftime("%Y%m%d")
    to = urllib.parse.urlsplit(url)
    headers = {"host": to.netloc, "x-amz-content-sha256": hashlib.sha256(b"").hexdigest(), "x-amz-date": when}
    if c.get("Token"):
        headers["x-amz-security-token"] = c["Token"]
    names = ";".join(sorted(headers))
    canonical = "\n".join(["GET", urllib.parse.quote(to.path), ""] + [k + ":" + headers[k] for k in sorted(headers)] + ["", names, headers["x-amz-content-sha256"]])
    scope = "/".join([day, S["region"], "s3", "aws4_request"])
    text = "\n".join(["AWS4-HMAC-SHA256", when, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = ("AWS4" + c["SecretAccessKey"]).encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    headers["Authorization"] = "AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=%s, Signature=%s" % (c["AccessKeyId"], scope, names, signature)
    del headers["host"]
    return headers


def fetch(path):
    arch = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}.get(platform.machine(), platform.machine())
    if arch not in S["agent"]:
        raise SystemExit("farmhand: there is no agent for " + arch + " processors, only for " + ", ".join(sorted(S["agent"])))
    url = S["url"] + "/" + S["key"][arch]
    new, digest = path + ".new", hashlib.sha256()
    with get(url, signed(url, credentials())) as body, open(new, "wb") as f:
        while True:
            part = body.read(1 << 20)
            if not part:
                break
            digest.update(part)
            f.write(part)
    if digest.hexdigest() != S["agent"][arch]:
        os.remove(new)
        raise IOError("the agent at " + url + " has hash " + digest.hexdigest() + ", not " + S["agent"][arch])
    os.chmod(new, 0o755)
    os.replace(new, path)


def start(path):
    command = [path, "agent", "--store", S["store"], "--farm", S["farm"]]
    if not os.path.isdir(S["systemd"]):
        say("there is no systemd here: the agent runs by itself")
        loop = 'while :; do "$@"; sleep 2; done'
        subprocess.Popen(["/bin/sh", "-c", loop, "farmhand-agent"] + command, stdin=subprocess.DEVNULL, start_new_session=True)
        return
    line = " ".join('"%s"' % a.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$") for a in command)
    unit = S["root"] + "/etc/systemd/system/farmhand-agent.service"
    os.makedirs(os.path.dirname(unit), exist_ok=True)
    with open(unit, "w") as f:
        f.write("""[Unit]
Description=Farmhand agent
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=0

[Service]
ExecStart=%s
Restart=always
RestartSec=2
KillMode=mixed
TimeoutStopSec=60

[Install]
WantedBy=multi-user.target
""" % line)
    subprocess.run(["systemctl", "daemon-reload"], check=True)
    # cloud-init is part of the boot that the service comes after: waiting for it here would wait for ever.
    subprocess.run(["systemctl", "enable", "farmhand-agent.service"], check=True)
    subprocess.run(["systemctl", "start", "--no-block", "farmhand-agent.service"], check=True)


binary, wait = S["root"] + "/usr/local/bin/farmhand", 1
os.makedirs(os.path.dirname(binary), exist_ok=True)
while True:
    try:
        fetch(binary)
        break
    except Exception as e:  # the profile's credentials and the network may come late
        say("fetching the agent: %s; again in %d s" % (e, wait))
        time.sleep(wait)
        wait = min(2 * wait, 30)
start(binary)
say("agent started for farm " + S["farm"])
PYTHON
