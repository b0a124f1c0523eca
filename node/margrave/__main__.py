from margrave.cli import main

main()
