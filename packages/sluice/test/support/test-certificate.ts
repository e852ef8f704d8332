// A certificate and key for tests that need TLS but are about something else. Valid for localhost until 2126.

export const testCertificate = `-----BEGIN CERTIFICATE-----
MIIBnDCCAUGgAwIBAgIUevmxJAEv3Y66Wp2e+Mh7sqrWLRIwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyMjE1MTYyMVoYDzIxMjYxMDI5
MTUxNjIxWjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAAQBmWjt84v553gnKmM/RJviIGoxWCi3uhyiYHF3RCvscqSa0JUjRsdh
4jI33Lyrc5IwiRkssW8IXXHRvU7WAmr+o28wbTAdBgNVHQ4EFgQUQ+w4UeQm2Ysr
0pZf+TslTjCF+nMwHwYDVR0jBBgwFoAUQ+w4UeQm2Ysr0pZf+TslTjCF+nMwDwYD
VR0TAQH/BAUwAwEB/zAaBgNVHREEEzARgglsb2NhbGhvc3SHBH8AAAEwCgYIKoZI
zj0EAwIDSQAwRgIhAM+kZdstCvXPx0byEoMN+hrJEYbWrh7Cd74bhYohopqvAiEA
+UidlxhjmpDdhdwCRTkewVjndr4onp+DAPJNsnD9Mqo=
-----END CERTIFICATE-----
`

export const testKey = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg77jv20gu7mNUSEOo
Z5sQJaSX7H5kMRTZbNGqOkf3fMqhRANCAAQBmWjt84v553gnKmM/RJviIGoxWCi3
uhyiYHF3RCvscqSa0JUjRsdh4jI33Lyrc5IwiRkssW8IXXHRvU7WAmr+
-----END PRIVATE KEY-----
`
