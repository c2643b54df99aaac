from pathlib import Path

import trustme


class Certificates:
    """Files of an authority, of a server's certificate that it signed, and of an authority that signed nothing.

    The certificate is for `localhost` and not for 127.0.0.1.
    """

    def __init__(self, directory: Path) -> None:
        self.authority = directory / "authority.pem"
        self.stranger = directory / "stranger.pem"
        self.certificate = directory / "certificate.pem"
        self.key = directory / "key.pem"
        self.key_and_certificate = directory / "key_and_certificate.pem"
        authority = trustme.CA()
        made = authority.issue_cert("localhost")
        authority.cert_pem.write_to_path(self.authority)
        trustme.CA().cert_pem.write_to_path(self.stranger)
        made.cert_chain_pems[0].write_to_path(self.certificate)
        made.private_key_pem.write_to_path(self.key)
        made.private_key_and_cert_chain_pem.write_to_path(self.key_and_certificate)
        self.key.chmod(0o600)  # or PostgreSQL refuses it
