/* Keys for tests, checked in so that a test's input never changes by itself. They sign nothing
 * anywhere else, and nothing anywhere else may trust them. PKCS#8 in PEM. */
#ifndef CHANCERY_TESTS_KEYS_H
#define CHANCERY_TESTS_KEYS_H

/* clang-format off */

/* P-256 */
#define KEY_EC_1 \
	"-----BEGIN PRIVATE KEY-----\n" \
	"MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgqGZ7oWBBxRnaUUbS\n" \
	"2P9FmV6KtxMYfGJw5XkuzlAFR5mhRANCAATF1IlrYtVPY9mY9iI0JeCmhzK9eRh7\n" \
	"p1t6fCxSJTYycBhCw8TJ5b+e+joVoN2NlInWR0dhsIvBkxWKtwXYlbHb\n" \
	"-----END PRIVATE KEY-----\n"

/* P-256 */
#define KEY_EC_2 \
	"-----BEGIN PRIVATE KEY-----\n" \
	"MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgRnCAesevrGAkxSH8\n" \
	"YPo089J/NLj4mABneELZztBYFmKhRANCAASJ++z/OXfnB0Q/Ltnxw6QYnEOiJv+G\n" \
	"j2KrRk6z58EnishdQUX5ruVeFGXyBLaSC6yuIzDcn4CqUlfKtk1kF3hQ\n" \
	"-----END PRIVATE KEY-----\n"

/* RSA */
#define KEY_RSA_2048 \
	"-----BEGIN PRIVATE KEY-----\n" \
	"MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQDaH8dx236H96wc\n" \
	"xEbRjXvuSLlyYL2+a9nr3OW2YUmdilaeCVINH1MCQFJM6Zql1Dt3NBeTXiyhuCst\n" \
	"YtUhaV5dOoIHqiw2qKXntS4KkaOMJ2fkMOC0TOcJ9PVFXpKmWJAfxQJ/s9EA8mhd\n" \
	"Q6n8MWEozVHVvc9KfI3y3lcYOuEVe+o2zhBSfb04zKXcceCUOtBlexBIzlbqQ9IU\n" \
	"HzgMfpHxHm5GZpOp+vWR0QRkF01ZapoQuYfmQEXao+/58is3uKVuupPSOhn7c5Ew\n" \
	"JjnqhKGjdloo2i9OxscKGtCXCDIfjiRpAXmHn+BaHZiq/htkVLtlwY2p9VE4J4Kz\n" \
	"ZwmARRr9AgMBAAECggEAIH4y7QZcTT9rK3besNlBgK/jNkNsiJkS48SqkJZiC76f\n" \
	"pBex2iQULsXrrKrw/2qD+EAxkeGpxuaDQhXSt5E1fjBYzfD++J57Zm6yPt9OrHJz\n" \
	"UsYoNxusoCpWPkD2GiMfxyfHNURRanFx9BDAGgI2HcimO++0WT2APNF7ym9898DR\n" \
	"HOUHckCZikdPUujKMUH9ET3IKa7u4a/W4JJg0fh3cGZHM9n97N3ZXTbfaN/QJeRn\n" \
	"i679o0wZniXS2ZQ5511CguTXr3T4zr7aePDiV4vbRySt9B6b0lSNshGTSAPGcuOR\n" \
	"gFoeLwWct7Z7cus+hTE+LpHyGynhirzs5fHjSYriUQKBgQD22Vda7nWM90xxy7It\n" \
	"DyZv8S4NOVC+G/0271PSCxwOBHEYwmtyrqhn9ADHkpnwy+Ivn80ms0vf5aAOCCQA\n" \
	"3mpRh0mUHv77ZTMyzdqsG46wlj+uJpdIa/LG9pZYmL8nLn5XZWR+GrrorI/rZXCt\n" \
	"tZFUn2EBUl2eZME50Opf4FZhbQKBgQDiNdTxIWZ+x/wgXerkmY+WA3U4M1cdPnYb\n" \
	"EGnKGWWSlGNYfQU8nEXw2+UHSTNw1+kZLtlmSP6j5n1Znkkv3BP0OoeveOVM99iQ\n" \
	"DdZi1rlLYVktfF6ba558oMuN5JlqHEuEne8OciM7cMPra7NY4+OSn4nxF1rzGYFX\n" \
	"pQV4bWQ10QKBgCAvbG1lxBvyLpxzw7KOVCOqXafJvlZbTeO4xsQPQMQvHhPtXZch\n" \
	"YMHVFbjvy3STENXGzzfpjs4NoZXSx+b5GQGyUwymEfbzVf6cypNAMJWjsX/idj0y\n" \
	"HgCFLEs2902DiWOZy8WJdK9buJQnsM5layKOeVZzx9McLfl83OJNXNXtAoGBAL8E\n" \
	"cB1yc+eJHlmClTCWj45Au0JK8DwMm5T9BigXzBK75Sw63ioxWEoslbjSUnLuj7Kp\n" \
	"QgFCkGx83MrJg8m7UMpChoNhVlfpTmFOngN2iJ+jw7dKN2WMuhdJfLoEGJxm6kpB\n" \
	"RzXuodu2vGpW1uqv/WK5/7SrYSy5E+SbwAPSc/WRAoGANj9yGYXEZoARujgYAGHM\n" \
	"Ua15yUXm6JpHIXP2K6xB7Sz9fqWd3kSJTbO+asbNvJbT0SBL5RwKtBY2BaM5bgf0\n" \
	"ql/MW1h6/Xwd+q37VZCRx8KEMng6MV8VAysQtzjrzp/WSzo0X1q7SexFo4ZYXG9K\n" \
	"vCQshrYvkIRaSusMuGky53I=\n" \
	"-----END PRIVATE KEY-----\n"

/* RSA, too small */
#define KEY_RSA_1024 \
	"-----BEGIN PRIVATE KEY-----\n" \
	"MIICeAIBADANBgkqhkiG9w0BAQEFAASCAmIwggJeAgEAAoGBALk4Z89RWzFnfugM\n" \
	"u6YFp7oHPpFjHkKKK/wuaW2vq9f54okg3NfT3Cztyl8xqwK3gNqXMcal0AwZ4jOn\n" \
	"9uE+A+PRA4OcsqD+oBW1hV3MwqWl+UU8r/9wiDTailtl07wrubkyLYu62kMM43+5\n" \
	"QHtXVe7tCp6xPuWvM4jtllRIas6NAgMBAAECgYAp2x9KcF4lSfgZxFbba8e9eEmh\n" \
	"XT7HVqYd9PcKPHqe8e9Jgc2mUFAfLxVeccDtej56J1SuSWY8ddTyS3C08ei6vjhs\n" \
	"dECs7vYJoVNuseaDgX0Nl/j5C37WzRF0OBYx+t6QdsamXb4uP45p377Ka2eAiLxf\n" \
	"pYkqZA5Hnxvs6awmQQJBAOb9yiEXPTYnOuj+ShIjFKjRLJsvabZOg0csSVH26ZN/\n" \
	"3OoHyPffHGOoBK+seSZm8QqK/zOFnjbghatvBlYFXukCQQDNRgPwBfyp0z+M7spY\n" \
	"hhj9+gdT2HKGnM3kHxgZ1hSA6mSJ2SGVcPhOOrraaVhFKLoNSDLerpkSU9kXkdFt\n" \
	"n9QFAkEAiaVgJpnfiv6TlzW409f9vp9vEkaNmupsRiQ4yNP22kNOVFMxSau1EhmU\n" \
	"OU7wnpanOl4btwr/fboLTV4Ki4YFyQJBAKIiTzHiSLMKfAOhCInrQQo51lfPeoYA\n" \
	"jE9GkA64HPHGMSsAKZqT5ExF7xhcZLAbfvjGsgdY+OaU+7+2GSjxONECQQDfNeLT\n" \
	"VbgBv54D3ADswln26Y6/tqUZAD9UYDZgOydI65fkqiIV6pAOGAKtcO0toUBZRgjb\n" \
	"Gv/0QLtmb49TCGZI\n" \
	"-----END PRIVATE KEY-----\n"

/* P-384, a curve we do not take */
#define KEY_P384 \
	"-----BEGIN PRIVATE KEY-----\n" \
	"MIG2AgEAMBAGByqGSM49AgEGBSuBBAAiBIGeMIGbAgEBBDAqXquy9WSdhSPt76pS\n" \
	"rVUWPKRq6ylQBtki06rm/jiHfejQdFYJFxT04fKsSBMhhHGhZANiAASehZOoG0r5\n" \
	"3VDdeY6c/fcsbKFWHpQKhi6HsWaA06afcZrn/ubCVz6v/27TjJQbYVA1hdjQyhSo\n" \
	"GztVT7+iNv3r9V3KaE/M5dP8JFlNo+ZsCqzla6+r8c70+Qa0APCf6Oc=\n" \
	"-----END PRIVATE KEY-----\n"

/* clang-format on */

#endif
